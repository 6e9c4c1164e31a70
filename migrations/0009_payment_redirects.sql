-- Where a shopper must go before the gateway decides on a payment. Written by `orders`.
ALTER TABLE order_payments ADD COLUMN redirect_url text;
