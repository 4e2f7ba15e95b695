-- Refunds and lost chargebacks that a person charges to the merchant, since their order never comes.

-- The currency of what was charged of the order before it came: null while nothing was.
ALTER TABLE orders ADD COLUMN charged_in text;
