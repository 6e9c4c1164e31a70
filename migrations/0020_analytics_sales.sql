-- Revenue for analytics. Written by the projection `analytics_sales`.
--
-- The same figures four times: by the minute, by the quarter of an hour (every time zone of today is a whole number of
-- these away from UTC), by the day and by the month, all in UTC. A period in any time zone is covered by the largest
-- rows that fit into it, so that a year costs a few thousand rows instead of one for each sale.
--
-- A row is about a SKU of a merchant; about all SKUs of a merchant, then `sku` is empty; or about everything, then both
-- are. Only so can `orders` be told, as an order has several SKUs. Rows about SKUs are in the minutes and the months
-- alone: by the quarter and by the day they would be nearly as many as by the minute, and what is asked of SKUs most
-- often, which of all sold best, is read from tables of their own below. `shipping` is the charge for sending: it belongs
-- to no SKU and to no merchant. Columns of fixed length come first: then a sum needs not look at the others.
CREATE TABLE analytics_sales_minutes (
    starts            timestamptz      NOT NULL,
    orders            bigint           NOT NULL,
    units             bigint           NOT NULL,
    gross             bigint           NOT NULL, -- minor units of the currency, as all money
    refunded          bigint           NOT NULL,
    shipping          bigint           NOT NULL,
    shipping_refunded bigint           NOT NULL,
    sku               text COLLATE "C" NOT NULL,
    merchant          text COLLATE "C" NOT NULL,
    country           text COLLATE "C" NOT NULL,
    currency          text COLLATE "C" NOT NULL,
    PRIMARY KEY (sku, starts, merchant, country, currency)
) WITH (fillfactor = 90);
CREATE TABLE analytics_sales_quarters (LIKE analytics_sales_minutes INCLUDING ALL) WITH (fillfactor = 80);
CREATE TABLE analytics_sales_days (LIKE analytics_sales_minutes INCLUDING ALL) WITH (fillfactor = 80);
CREATE TABLE analytics_sales_months (LIKE analytics_sales_minutes INCLUDING ALL) WITH (fillfactor = 70);

-- For questions about all SKUs, or about one merchant.
CREATE INDEX analytics_sales_minutes_by_time ON analytics_sales_minutes (starts) WHERE sku <> '';
CREATE INDEX analytics_sales_months_by_time ON analytics_sales_months (starts) WHERE sku <> '';
CREATE INDEX analytics_sales_minutes_by_merchant ON analytics_sales_minutes (merchant, starts) WHERE sku = '';
CREATE INDEX analytics_sales_quarters_by_merchant ON analytics_sales_quarters (merchant, starts) WHERE sku = '';
CREATE INDEX analytics_sales_days_by_merchant ON analytics_sales_days (merchant, starts) WHERE sku = '';
CREATE INDEX analytics_sales_months_by_merchant ON analytics_sales_months (merchant, starts) WHERE sku = '';

-- SKUs in all countries together, by the day and by the month, in rows that are short and close to each other: which
-- ones sold best in a year is answered from some ten thousand of them.
CREATE TABLE analytics_sku_days (
    starts   timestamptz      NOT NULL,
    orders   bigint           NOT NULL,
    units    bigint           NOT NULL,
    gross    bigint           NOT NULL,
    refunded bigint           NOT NULL,
    sku      text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    merchant text COLLATE "C" NOT NULL,
    PRIMARY KEY (sku, starts, merchant, currency)
) WITH (fillfactor = 80);
CREATE INDEX analytics_sku_days_by_time ON analytics_sku_days (starts);
CREATE TABLE analytics_sku_months (LIKE analytics_sku_days INCLUDING ALL) WITH (fillfactor = 70);

-- What each order sold, so that money that goes back, however late, goes off the SKUs that it was paid for.
CREATE TABLE analytics_sold_orders (
    order_id uuid PRIMARY KEY,
    sale     jsonb   NOT NULL,
    is_paid  boolean NOT NULL,
    refunded bigint  NOT NULL -- since it was paid
) WITH (fillfactor = 70);

-- Units that stock refused to a checkout: the order was called off.
CREATE TABLE analytics_lost_sales (
    order_id   uuid             NOT NULL,
    sku        text COLLATE "C" NOT NULL,
    merchant   text COLLATE "C" NOT NULL,
    country    text COLLATE "C" NOT NULL,
    currency   text COLLATE "C" NOT NULL,
    units      bigint           NOT NULL, -- asked for
    available  bigint           NOT NULL, -- were there
    amount     bigint           NOT NULL, -- the price of all that were asked for
    refused_at timestamptz      NOT NULL,
    PRIMARY KEY (order_id, sku)
);
CREATE INDEX analytics_lost_sales_by_time ON analytics_lost_sales (refused_at);
CREATE INDEX analytics_lost_sales_by_sku ON analytics_lost_sales (sku, refused_at);
