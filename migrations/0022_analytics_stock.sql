-- When a SKU was sold out. Written by the projection `analytics_stock`.
CREATE TABLE analytics_stock_levels (
    sku            text COLLATE "C" PRIMARY KEY,
    available      bigint NOT NULL CHECK (available >= 0), -- units that can be reserved
    empty_revision bigint -- the event that took the last unit, while there is none
) WITH (fillfactor = 50);

CREATE TABLE analytics_stock_outs (
    sku      text COLLATE "C" NOT NULL,
    revision bigint           NOT NULL, -- of the event that took the last unit
    began_at timestamptz      NOT NULL,
    ended_at timestamptz, -- none while it lasts
    PRIMARY KEY (sku, revision)
);
CREATE INDEX analytics_stock_outs_by_time ON analytics_stock_outs (began_at);
