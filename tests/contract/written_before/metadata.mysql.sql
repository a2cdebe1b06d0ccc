CREATE TABLE `audit_logs` (
  `audit_id` varchar(64) NOT NULL,
  `dataset_id` varchar(64) NOT NULL,
  `symbol` varchar(30) NOT NULL,
  `audit_type` varchar(50) NOT NULL,
  `severity` varchar(20) DEFAULT NULL,
  `details` text DEFAULT NULL,
  `timestamp` datetime(3) NOT NULL,
  PRIMARY KEY (`audit_id`),
  KEY `idx_audit_logs_symbol` (`symbol`,`timestamp`),
  KEY `idx_audit_logs_dataset_timestamp` (`dataset_id`,`timestamp`),
  KEY `idx_audit_logs_timestamp` (`timestamp`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO audit_logs VALUES ('audit-1', 'candles_BTCUSDT_1h', 'BTCUSDT', 'gap', 'high', '3 candles missing', '2025-10-20 12:00:00.124');
INSERT INTO audit_logs VALUES ('audit-2', 'candles_BTCUSDT_1h', 'BTCUSDT', 'gap', 'high', NULL, '2025-10-20 12:00:00.125');
CREATE TABLE `backfill_jobs` (
  `job_id` varchar(64) NOT NULL,
  `symbol` varchar(30) NOT NULL,
  `data_type` varchar(50) NOT NULL,
  `timeframe` varchar(10) DEFAULT NULL,
  `start_time` datetime(3) NOT NULL,
  `end_time` datetime(3) NOT NULL,
  `status` varchar(20) NOT NULL DEFAULT 'pending',
  `priority` smallint(6) NOT NULL DEFAULT 5,
  `progress` decimal(5,2) NOT NULL DEFAULT 0.00,
  `records_fetched` int(11) NOT NULL DEFAULT 0,
  `records_inserted` int(11) NOT NULL DEFAULT 0,
  `error_message` text DEFAULT NULL,
  `created_at` datetime(3) NOT NULL,
  `started_at` datetime(3) DEFAULT NULL,
  `completed_at` datetime(3) DEFAULT NULL,
  PRIMARY KEY (`job_id`),
  KEY `idx_backfill_jobs_status` (`status`,`created_at`),
  KEY `idx_backfill_jobs_created` (`created_at`),
  KEY `idx_backfill_jobs_symbol` (`symbol`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO backfill_jobs VALUES ('job-1', 'BTCUSDT', 'candles', '1h', '2025-10-20 12:00:00.123', '2025-10-20 13:00:00.123', 'running', 5, 0.00, 0, 0, NULL, '2025-10-20 12:00:00.124', '2025-10-20 12:00:00.999', NULL);
INSERT INTO backfill_jobs VALUES ('job-2', 'BTCUSDT', 'candles', '1h', '2025-10-20 12:00:00.123', '2025-10-20 13:00:00.123', 'pending', 5, 0.00, 0, 0, 'no ''answer''', '2025-10-20 12:00:00.125', NULL, NULL);
CREATE TABLE `datasets` (
  `dataset_id` varchar(64) NOT NULL,
  `name` varchar(100) NOT NULL,
  `description` varchar(500) DEFAULT NULL,
  `category` varchar(50) NOT NULL,
  `schema_id` varchar(64) DEFAULT NULL,
  `storage_type` varchar(20) NOT NULL,
  `owner` varchar(100) DEFAULT NULL,
  `update_frequency` varchar(50) DEFAULT NULL,
  `created_at` datetime(3) NOT NULL,
  `updated_at` datetime(3) NOT NULL,
  PRIMARY KEY (`dataset_id`),
  KEY `idx_datasets_category` (`category`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO datasets VALUES ('b', 'Dataset b', NULL, 'analytics', NULL, 'sqlite', 'data-manager', NULL, '2025-10-20 12:00:00.123', '2025-10-20 12:00:00.123');
INSERT INTO datasets VALUES ('candles_BTCUSDT_1h', 'Dataset candles_BTCUSDT_1h', 'prix à l’unité', 'market_data', NULL, 'sqlite', 'data-manager', NULL, '2025-10-20 12:00:00.123', '2025-10-20 12:00:00.123');
CREATE TABLE `findings` (
  `finding_id` varchar(64) NOT NULL,
  `dataset_id` varchar(64) NOT NULL,
  `kind` varchar(20) NOT NULL,
  `start_time` datetime(3) NOT NULL,
  `end_time` datetime(3) NOT NULL,
  `count` int(11) NOT NULL,
  `state` varchar(20) NOT NULL,
  `found_at` datetime(3) NOT NULL,
  `updated_at` datetime(3) NOT NULL,
  PRIMARY KEY (`finding_id`),
  KEY `idx_findings_dataset_start` (`dataset_id`,`start_time`),
  KEY `idx_findings_state` (`state`,`start_time`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE `health_metrics` (
  `metric_id` varchar(64) NOT NULL,
  `dataset_id` varchar(64) NOT NULL,
  `symbol` varchar(30) NOT NULL,
  `completeness` decimal(5,2) DEFAULT NULL,
  `freshness_seconds` int(11) DEFAULT NULL,
  `gaps_count` int(11) NOT NULL DEFAULT 0,
  `duplicates_count` int(11) NOT NULL DEFAULT 0,
  `consistency_score` decimal(5,2) DEFAULT NULL,
  `quality_score` decimal(5,2) DEFAULT NULL,
  `timestamp` datetime(3) NOT NULL,
  PRIMARY KEY (`metric_id`),
  KEY `idx_health_metrics_timestamp` (`timestamp`),
  KEY `idx_health_metrics_symbol` (`symbol`,`timestamp`),
  KEY `idx_health_metrics_dataset_timestamp` (`dataset_id`,`timestamp`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO health_metrics VALUES ('candles_BTCUSDT_1h-1', 'candles_BTCUSDT_1h', 'BTCUSDT', 99.50, 42, 1, 0, NULL, 100.00, '2025-10-20 12:00:00.124');
INSERT INTO health_metrics VALUES ('trades_ETHUSDT-2', 'trades_ETHUSDT', 'ETHUSDT', NULL, 42, 1, 0, NULL, 100.00, '2025-10-20 12:00:00.125');
CREATE TABLE `lineage_records` (
  `lineage_id` varchar(64) NOT NULL,
  `dataset_id` varchar(64) NOT NULL,
  `source_dataset_id` varchar(64) DEFAULT NULL,
  `transformation` varchar(100) NOT NULL,
  `input_records` int(11) DEFAULT NULL,
  `output_records` int(11) DEFAULT NULL,
  `timestamp` datetime(3) NOT NULL,
  PRIMARY KEY (`lineage_id`),
  KEY `idx_lineage_records_dataset` (`dataset_id`,`timestamp`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO lineage_records VALUES ('lineage-1', 'analytics_BTCUSDT_volatility', 'candles_BTCUSDT_1h', 'volatility', 720, 1, '2025-10-20 12:00:00.124');
INSERT INTO lineage_records VALUES ('lineage-2', 'other', 'candles_BTCUSDT_1h', 'volatility', 720, 1, '2025-10-20 12:00:00.125');
CREATE TABLE `petrosa_metadata_version` (
  `version_num` varchar(32) NOT NULL,
  PRIMARY KEY (`version_num`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1 COLLATE=latin1_swedish_ci;
INSERT INTO petrosa_metadata_version VALUES ('1');
CREATE TABLE `watermarks` (
  `name` varchar(190) NOT NULL,
  `value` bigint(20) NOT NULL,
  PRIMARY KEY (`name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO watermarks VALUES ('slots:analytics', 9007199254740993);
