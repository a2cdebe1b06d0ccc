"""Indicators and statistics of markets, as pure numpy functions: arrays and numbers in, arrays and numbers out.

An order book alone is computed in decimals, as the exchange wrote it.

No input or output, no clock, no settings, and no library but numpy: its import decides how fast a calculator starts.
`statistics`, `spectrum` and `seasonality`, which the calculators of deviation and seasonality need, compute with scipy.
One module per family::

    grid          gaps made visible, rows of two symbols matched by time
    returns       log returns that do not reach across missing candles
    volatility    rolling, range-based and exponentially weighted volatility
    realized      realised variance, its continuous part, the share of jumps
    forecast      variance of the next day from those of the days before
    moving        moving averages, rate of change, MACD, crossovers
    momentum      RSI, average true range, directional movement, ADX
    bands         Bollinger bands, z-score, range position
    statistics    moments, autocorrelation, Ljung-Box, variance ratio
    volume        taker flow, VWAP, OBV, illiquidity, volume spikes
    order_book    spread, depth, slippage, imbalance, order-flow imbalance
    spectrum      Welch spectral density, significant peaks, dominant cycle
    seasonality   return profiles by hour and weekday, seasonal deviation, entropy
    correlation   pairwise, rolling and lagged correlation, beta, first component
    cointegration Engle-Granger test, half-life
    breadth       share of symbols above an average, advance and decline
    arrays        array types, windows, missing rows: what the others are built on

Conventions, which hold everywhere unless a docstring says otherwise:

* **Shape.** A series has shape ``(n,)``, oldest first. A function that returns a series returns one value per row of
  its input, NaN before its warm-up is over; "first value at index k" says where that is. Rows appended later never
  change earlier values.
* **Latest value.** It is the last element. A window function needs no more than the rows of its window, so a caller
  who wants the latest value alone passes just those. Recursions (EMA, RSI, ATR, ADX) depend on where the history
  starts: give them at least 250 rows.
* **Missing values.** NaN and infinity are missing. A row in which a needed value is missing is left out, as if the
  series did not have it, and the result at that row is the result of the row before. So a window of 20 always holds
  20 values.
* **Too little or degenerate data** give NaN (or empty arrays), never an exception and never a made-up number.
  ``ValueError`` means a mistake of the caller: shapes that do not match, a window that makes no sense.
* **Units.** A return is a logarithm, not a percentage; a volatility is per bar until it is annualised; results in
  percent say so.
* **Sums** run over each window by itself: differences of cumulative sums lose everything after one huge value.
  Variances are taken around the mean, scaled, so that neither tiny nor huge values under- or overflow.
"""
