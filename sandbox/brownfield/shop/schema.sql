CREATE DATABASE shop CHARACTER SET utf8mb4;

CREATE TABLE shop.orders (
  order_id VARCHAR(36) COLLATE utf8mb4_bin NOT NULL,
  customer_id VARCHAR(64) NOT NULL,
  status VARCHAR(20) NOT NULL DEFAULT 'open',
  total_cents INT NOT NULL,
  reference VARCHAR(100),
  note VARCHAR(255),
  placed_at DATETIME NOT NULL,
  PRIMARY KEY (order_id),
  KEY orders_by_customer (customer_id, placed_at),
  KEY orders_by_status (status)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE shop.order_audit (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_id VARCHAR(36) COLLATE utf8mb4_bin NOT NULL,
  action VARCHAR(10) NOT NULL,
  note VARCHAR(255),
  at DATETIME(6) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
