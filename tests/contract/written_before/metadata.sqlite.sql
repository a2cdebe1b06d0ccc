PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE audit_logs (
	audit_id VARCHAR(64) NOT NULL, 
	dataset_id VARCHAR(64) NOT NULL, 
	symbol VARCHAR(30) NOT NULL, 
	audit_type VARCHAR(50) NOT NULL, 
	severity VARCHAR(20), 
	details TEXT, 
	timestamp DATETIME NOT NULL, 
	PRIMARY KEY (audit_id)
);
INSERT INTO "audit_logs" VALUES('audit-1','candles_BTCUSDT_1h','BTCUSDT','gap','high','3 candles missing','2025-10-20 12:00:00.124000');
INSERT INTO "audit_logs" VALUES('audit-2','candles_BTCUSDT_1h','BTCUSDT','gap','high',NULL,'2025-10-20 12:00:00.125000');
CREATE TABLE backfill_jobs (
	job_id VARCHAR(64) NOT NULL, 
	symbol VARCHAR(30) NOT NULL, 
	data_type VARCHAR(50) NOT NULL, 
	timeframe VARCHAR(10), 
	start_time DATETIME NOT NULL, 
	end_time DATETIME NOT NULL, 
	status VARCHAR(20) DEFAULT 'pending' NOT NULL, 
	priority SMALLINT DEFAULT '5' NOT NULL, 
	progress VARCHAR(6) DEFAULT '0.00' NOT NULL, 
	records_fetched INTEGER DEFAULT '0' NOT NULL, 
	records_inserted INTEGER DEFAULT '0' NOT NULL, 
	error_message TEXT, 
	created_at DATETIME NOT NULL, 
	started_at DATETIME, 
	completed_at DATETIME, 
	PRIMARY KEY (job_id)
);
INSERT INTO "backfill_jobs" VALUES('job-1','BTCUSDT','candles','1h','2025-10-20 12:00:00.123000','2025-10-20 13:00:00.123000','running',5,'0.00',0,0,NULL,'2025-10-20 12:00:00.124000','2025-10-20 12:00:00.999000',NULL);
INSERT INTO "backfill_jobs" VALUES('job-2','BTCUSDT','candles','1h','2025-10-20 12:00:00.123000','2025-10-20 13:00:00.123000','pending',5,'0.00',0,0,'no ''answer''','2025-10-20 12:00:00.125000',NULL,NULL);
CREATE TABLE datasets (
	dataset_id VARCHAR(64) NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	description VARCHAR(500), 
	category VARCHAR(50) NOT NULL, 
	schema_id VARCHAR(64), 
	storage_type VARCHAR(20) NOT NULL, 
	owner VARCHAR(100), 
	update_frequency VARCHAR(50), 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	PRIMARY KEY (dataset_id)
);
INSERT INTO "datasets" VALUES('candles_BTCUSDT_1h','Dataset candles_BTCUSDT_1h','prix à l’unité','market_data',NULL,'sqlite','data-manager',NULL,'2025-10-20 12:00:00.123000','2025-10-20 12:00:00.123000');
INSERT INTO "datasets" VALUES('b','Dataset b',NULL,'analytics',NULL,'sqlite','data-manager',NULL,'2025-10-20 12:00:00.123000','2025-10-20 12:00:00.123000');
CREATE TABLE findings (
	finding_id VARCHAR(64) NOT NULL, 
	dataset_id VARCHAR(64) NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	start_time DATETIME NOT NULL, 
	end_time DATETIME NOT NULL, 
	count INTEGER NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	found_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	PRIMARY KEY (finding_id)
);
CREATE TABLE health_metrics (
	metric_id VARCHAR(64) NOT NULL, 
	dataset_id VARCHAR(64) NOT NULL, 
	symbol VARCHAR(30) NOT NULL, 
	completeness VARCHAR(6), 
	freshness_seconds INTEGER, 
	gaps_count INTEGER DEFAULT '0' NOT NULL, 
	duplicates_count INTEGER DEFAULT '0' NOT NULL, 
	consistency_score VARCHAR(6), 
	quality_score VARCHAR(6), 
	timestamp DATETIME NOT NULL, 
	PRIMARY KEY (metric_id)
);
INSERT INTO "health_metrics" VALUES('candles_BTCUSDT_1h-1','candles_BTCUSDT_1h','BTCUSDT','99.50',42,1,0,NULL,'100.00','2025-10-20 12:00:00.124000');
INSERT INTO "health_metrics" VALUES('trades_ETHUSDT-2','trades_ETHUSDT','ETHUSDT',NULL,42,1,0,NULL,'100.00','2025-10-20 12:00:00.125000');
CREATE TABLE lineage_records (
	lineage_id VARCHAR(64) NOT NULL, 
	dataset_id VARCHAR(64) NOT NULL, 
	source_dataset_id VARCHAR(64), 
	transformation VARCHAR(100) NOT NULL, 
	input_records INTEGER, 
	output_records INTEGER, 
	timestamp DATETIME NOT NULL, 
	PRIMARY KEY (lineage_id)
);
INSERT INTO "lineage_records" VALUES('lineage-1','analytics_BTCUSDT_volatility','candles_BTCUSDT_1h','volatility',720,1,'2025-10-20 12:00:00.124000');
INSERT INTO "lineage_records" VALUES('lineage-2','other','candles_BTCUSDT_1h','volatility',720,1,'2025-10-20 12:00:00.125000');
CREATE TABLE watermarks (
	name VARCHAR(190) NOT NULL, 
	value BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "watermarks" VALUES('slots:analytics',9007199254740993);
CREATE INDEX idx_datasets_category ON datasets (category);
CREATE INDEX idx_audit_logs_timestamp ON audit_logs (timestamp);
CREATE INDEX idx_audit_logs_symbol ON audit_logs (symbol, timestamp);
CREATE INDEX idx_audit_logs_dataset_timestamp ON audit_logs (dataset_id, timestamp);
CREATE INDEX idx_health_metrics_symbol ON health_metrics (symbol, timestamp);
CREATE INDEX idx_health_metrics_timestamp ON health_metrics (timestamp);
CREATE INDEX idx_health_metrics_dataset_timestamp ON health_metrics (dataset_id, timestamp);
CREATE INDEX idx_backfill_jobs_symbol ON backfill_jobs (symbol);
CREATE INDEX idx_backfill_jobs_created ON backfill_jobs (created_at);
CREATE INDEX idx_backfill_jobs_status ON backfill_jobs (status, created_at);
CREATE INDEX idx_lineage_records_dataset ON lineage_records (dataset_id, timestamp);
CREATE INDEX idx_findings_state ON findings (state, start_time);
CREATE INDEX idx_findings_dataset_start ON findings (dataset_id, start_time);
COMMIT;
