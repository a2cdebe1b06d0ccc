PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE agg_trades (
        symbol TEXT NOT NULL,
        time_ms INTEGER NOT NULL,
        agg_trade_id INTEGER NOT NULL,
        price TEXT NOT NULL,
        quantity TEXT NOT NULL,
        first_trade_id INTEGER,
        last_trade_id INTEGER,
        is_buyer_maker INTEGER NOT NULL,
        PRIMARY KEY (symbol, time_ms, agg_trade_id)
    ) WITHOUT ROWID;
INSERT INTO "agg_trades" VALUES('BTCUSDT',1760961600001,1,'64302.10','1.500',7,7,1);
INSERT INTO "agg_trades" VALUES('BTCUSDT',1760961600002,2,'64302.10','1.500',NULL,NULL,1);
INSERT INTO "agg_trades" VALUES('BTCUSDT',1760961600993,9007199254740993,'64302.10','1.500',7,7,1);
CREATE TABLE analytics (
        symbol TEXT NOT NULL,
        metric TEXT NOT NULL,
        timeframe TEXT NOT NULL, -- '' for metrics without one
        as_of_ms INTEGER NOT NULL,
        computed_at_ms INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (symbol, metric, timeframe, as_of_ms)
    );
INSERT INTO "analytics" VALUES('BTCUSDT','trend','1h',1760961600000,1760961600000,'{"sma":"0.50"}');
INSERT INTO "analytics" VALUES('BTCUSDT','trend','1h',1760961600001,1760961600001,'{"sma":"1.50"}');
INSERT INTO "analytics" VALUES('MARKET','correlation_matrix','1d',1760961600000,1760961600000,'{"x":"1"}');
INSERT INTO "analytics" VALUES('BTCUSDT','spread','',1760961600000,1760961600003,'{"é":"1"}');
CREATE TABLE candles (
        symbol TEXT NOT NULL,
        timeframe TEXT NOT NULL,
        time_ms INTEGER NOT NULL,
        open TEXT NOT NULL,
        high TEXT NOT NULL,
        low TEXT NOT NULL,
        close TEXT NOT NULL,
        volume TEXT NOT NULL,
        quote_volume TEXT,
        trades_count INTEGER,
        taker_buy_volume TEXT,
        taker_buy_quote_volume TEXT,
        is_closed INTEGER NOT NULL,
        event_time_ms INTEGER NOT NULL,
        origin INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        PRIMARY KEY (symbol, timeframe, time_ms)
    ) WITHOUT ROWID;
INSERT INTO "candles" VALUES('BTCUSDT','1h',1760961600000,'64302.10','64355.00','64012.70','64120.00','4120.338','264501233.114000',86039,'2060.10',NULL,1,1760961600009,0,1);
INSERT INTO "candles" VALUES('BTCUSDT','1h',1760965200000,'64302.10','64355.00','64012.70','1.10','4120.338','264501233.114000',NULL,'2060.10',NULL,1,1760961600000,1,0);
INSERT INTO "candles" VALUES('BTCUSDT','1h',1760968800000,'64302.10','64355.00','64012.70','1.1','4120.338','264501233.114000',86039,'2060.10',NULL,0,1760961600000,0,0);
INSERT INTO "candles" VALUES('BTCUSDT','5m',1760961600000,'64302.10','64355.00','64012.70','64119.40','4120.338','264501233.114000',86039,'2060.10',NULL,1,1760961600000,0,0);
INSERT INTO "candles" VALUES('ETHUSDT','1h',1760961600000,'64302.10','64355.00','64012.70','64119.40','4120.338','264501233.114000',86039,'2060.10',NULL,1,1760961600000,0,0);
CREATE TABLE counters (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "counters" VALUES('agg_trades',3);
INSERT INTO "counters" VALUES('analytics_changes',4);
INSERT INTO "counters" VALUES('candles',5);
INSERT INTO "counters" VALUES('dead_letters',2);
INSERT INTO "counters" VALUES('depth',4);
INSERT INTO "counters" VALUES('funding_rates',3);
INSERT INTO "counters" VALUES('mark_prices',3);
INSERT INTO "counters" VALUES('tickers',2);
INSERT INTO "counters" VALUES('trades',8);
CREATE TABLE dead_letters (
        dead_letter_id TEXT NOT NULL PRIMARY KEY,
        time_ms INTEGER NOT NULL,
        kind TEXT NOT NULL,
        reason TEXT NOT NULL,
        field TEXT,
        detail TEXT NOT NULL,
        symbol TEXT,
        origin TEXT NOT NULL,
        excerpt TEXT NOT NULL,
        event_id TEXT,
        size_bytes INTEGER NOT NULL
    );
INSERT INTO "dead_letters" VALUES('3397ac3ea64ca7a289a0c454b7ddee1f',1760961600000,'trade','invalid_value','p','expected a positive decimal, was ''NaN''','BTCUSDT','ingest','{"number":1,"p":"NaN"}','event-1',22);
INSERT INTO "dead_letters" VALUES('b097370e28100a108654ec81e6945ffe',1760961600000,'kline','invalid_value','p','expected a positive decimal, was ''NaN''','BTCUSDT','ingest','{"number":2,"p":"NaN"}','event-1',22);
CREATE TABLE depth (
        symbol TEXT NOT NULL,
        time_ms INTEGER NOT NULL,
        last_update_id INTEGER NOT NULL,
        bids TEXT NOT NULL,
        asks TEXT NOT NULL,
        PRIMARY KEY (symbol, time_ms, last_update_id)
    );
INSERT INTO "depth" VALUES('BTCUSDT',1760961600001,1,'[["64302.10","0.500"],["64302.00","1.000"]]','[["64302.20","0.00100000"]]');
INSERT INTO "depth" VALUES('BTCUSDT',1760961600002,2,'[["64302.10","0.500"],["64302.00","1.000"]]','[["64302.20","0.00100000"]]');
INSERT INTO "depth" VALUES('BTCUSDT',1760961600003,3,'[["64302.10","0.500"],["64302.00","1.000"]]','[]');
INSERT INTO "depth" VALUES('BTCUSDT',1760961600050,3,'[["64302.10","0.500"],["64302.00","1.000"]]','[["64302.20","0.00100000"]]');
CREATE TABLE funding_rates (
        symbol TEXT NOT NULL,
        time_ms INTEGER NOT NULL,
        funding_rate TEXT NOT NULL,
        mark_price TEXT,
        next_funding_time_ms INTEGER,
        event_time_ms INTEGER NOT NULL,
        origin INTEGER NOT NULL,
        PRIMARY KEY (symbol, time_ms)
    ) WITHOUT ROWID;
INSERT INTO "funding_rates" VALUES('BTCUSDT',1760961600000,'0.00010000','64301.00',NULL,1760961600000,0);
INSERT INTO "funding_rates" VALUES('BTCUSDT',1760990400000,'-0.00300000',NULL,NULL,1760961600000,0);
INSERT INTO "funding_rates" VALUES('BTCUSDT',1761019200000,'0.00010000','64301.00',NULL,1760961600000,2);
CREATE TABLE mark_prices (
        symbol TEXT NOT NULL,
        time_ms INTEGER NOT NULL,
        mark_price TEXT NOT NULL,
        index_price TEXT,
        estimated_settle_price TEXT,
        funding_rate TEXT,
        next_funding_time_ms INTEGER,
        PRIMARY KEY (symbol, time_ms)
    ) WITHOUT ROWID;
INSERT INTO "mark_prices" VALUES('BTCUSDT',1760961600001,'64301.00000000','64300.12345678',NULL,'-0.00010000',1760961600000);
INSERT INTO "mark_prices" VALUES('BTCUSDT',1760961600002,'64301.00000000',NULL,NULL,'-0.00010000',1760961600000);
INSERT INTO "mark_prices" VALUES('BTCUSDT',1760961600003,'64301.00000000','64300.12345678',NULL,'-0.00010000',NULL);
CREATE TABLE series (
        name TEXT NOT NULL PRIMARY KEY,
        changes INTEGER NOT NULL,
        row_count INTEGER NOT NULL
    ) WITHOUT ROWID;
INSERT INTO "series" VALUES('agg_trades_BTCUSDT',1,3);
INSERT INTO "series" VALUES('candles_BTCUSDT_1h',2,3);
INSERT INTO "series" VALUES('candles_BTCUSDT_5m',1,1);
INSERT INTO "series" VALUES('candles_ETHUSDT_1h',1,1);
INSERT INTO "series" VALUES('depth_BTCUSDT',2,4);
INSERT INTO "series" VALUES('funding_rates_BTCUSDT',1,3);
INSERT INTO "series" VALUES('mark_prices_BTCUSDT',1,3);
INSERT INTO "series" VALUES('tickers_BTCUSDT',2,2);
INSERT INTO "series" VALUES('trades_BTCUSDT',3,7);
INSERT INTO "series" VALUES('trades_ETHUSDT',1,1);
CREATE TABLE tickers (
        symbol TEXT NOT NULL,
        time_ms INTEGER NOT NULL,
        open_price TEXT NOT NULL,
        high_price TEXT NOT NULL,
        low_price TEXT NOT NULL,
        close_price TEXT NOT NULL,
        volume TEXT NOT NULL,
        quote_volume TEXT NOT NULL,
        price_change TEXT NOT NULL,
        price_change_percent TEXT NOT NULL,
        trades_count INTEGER NOT NULL,
        PRIMARY KEY (symbol, time_ms)
    ) WITHOUT ROWID;
INSERT INTO "tickers" VALUES('BTCUSDT',1760961600002,'64000.00','64355.00','63012.70','64119.40','4120.338','264501233.114000','-119.40','-0.186',86039);
INSERT INTO "tickers" VALUES('BTCUSDT',1760961600003,'64000.00','64355.00','63012.70','64119.40','4120.338','264501233.114000','-119.40','-0.186',86039);
CREATE TABLE trades (
        symbol TEXT NOT NULL,
        time_ms INTEGER NOT NULL,
        trade_id INTEGER NOT NULL,
        price TEXT NOT NULL,
        quantity TEXT NOT NULL,
        is_buyer_maker INTEGER NOT NULL,
        PRIMARY KEY (symbol, time_ms, trade_id)
    ) WITHOUT ROWID;
INSERT INTO "trades" VALUES('BTCUSDT',1760961599995,2,'1.5','0.00100000',1);
INSERT INTO "trades" VALUES('BTCUSDT',1760961600001,1,'64302.10','0.00100000',0);
INSERT INTO "trades" VALUES('BTCUSDT',1760961600002,2,'0.00001000','0.00100000',1);
INSERT INTO "trades" VALUES('BTCUSDT',1760961600003,3,'12345678901234567890.12345678901234','0.00100000',0);
INSERT INTO "trades" VALUES('BTCUSDT',1760961600007,7,'64302.10','0.00100000',0);
INSERT INTO "trades" VALUES('BTCUSDT',1760961600008,7,'64302.10','0.00100000',0);
INSERT INTO "trades" VALUES('BTCUSDT',1760961600009,7,'64302.10','0.00100000',0);
INSERT INTO "trades" VALUES('ETHUSDT',1760961600001,1,'64302.10','0.00100000',0);
CREATE INDEX dead_letters_time ON dead_letters (time_ms, dead_letter_id);
CREATE INDEX dead_letters_kind ON dead_letters (kind, time_ms, dead_letter_id);
CREATE INDEX dead_letters_reason ON dead_letters (reason, time_ms, dead_letter_id);
CREATE INDEX analytics_metric ON analytics (metric, computed_at_ms);
CREATE INDEX analytics_computed ON analytics (computed_at_ms);
CREATE INDEX analytics_as_of ON analytics (as_of_ms);
COMMIT;
