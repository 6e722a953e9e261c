//! The statements, one for each request.

pub const USER: &str = "SELECT id, first_name, last_name, email FROM users WHERE id = $1";

pub const USERS_POSTGRES: &str = "
SELECT u.id, u.first_name, u.last_name, a.id, a.number, a.kind,
    o.id, o.instrument_id, o.side, o.status, o.quantity, o.submitted_at
FROM (SELECT id, first_name, last_name FROM users ORDER BY id DESC LIMIT 20) u
LEFT JOIN LATERAL (SELECT id, number, kind FROM account WHERE user_id = u.id ORDER BY id DESC LIMIT 5) a ON TRUE
LEFT JOIN LATERAL (SELECT id, instrument_id, side, status, quantity, submitted_at FROM orders
    WHERE account_id = a.id ORDER BY id DESC LIMIT 5) o ON TRUE
ORDER BY u.id DESC, a.id DESC, o.id DESC";

pub const USERS_SQLITE: &str = "
SELECT u.id, u.first_name, u.last_name, a.id, a.number, a.kind,
    o.id, o.instrument_id, o.side, o.status, o.quantity, o.submitted_at
FROM (SELECT id, first_name, last_name FROM users ORDER BY id DESC LIMIT 20) u
LEFT JOIN account a ON a.id IN (SELECT id FROM account WHERE user_id = u.id ORDER BY id DESC LIMIT 5)
LEFT JOIN orders o ON o.id IN (SELECT id FROM orders WHERE account_id = a.id ORDER BY id DESC LIMIT 5)
ORDER BY u.id DESC, a.id DESC, o.id DESC";

pub const PAGE: &str = "
SELECT id, instrument_id, side, kind, quantity, filled_quantity, status, submitted_at FROM orders
WHERE account_id = $1 AND id < $2 ORDER BY id DESC LIMIT 100";

pub const ORDERS: &str = "
SELECT id, instrument_id, side, kind, quantity, filled_quantity, status, submitted_at FROM orders
WHERE account_id = $1 ORDER BY id DESC LIMIT 1000";

/// Parameters: account, order, instrument, amount, quantity, hold, time.
pub const PLACE_POSTGRES: &str = "
WITH held AS (
    UPDATE ledger_account SET held = held + $4, version = version + 1
    WHERE owner_id = $1 AND kind = 'cash' AND asset = 'USD' AND credits - debits - held >= $4
    RETURNING id, partner_id
), placed AS (
    INSERT INTO orders (id, partner_id, account_id, instrument_id, side, kind, quantity, filled_quantity, status,
        submitted_at)
    SELECT $2, partner_id, $1, $3, 'buy', 'market', $5, 0, 'accepted', $7 FROM held
)
INSERT INTO ledger_hold (id, partner_id, account_id, amount, purpose_id, placed_at)
SELECT $6, partner_id, id, $4, $2, $7 FROM held";

pub const HOLD_SQLITE: &str = "
UPDATE ledger_account SET held = held + $2, version = version + 1
WHERE owner_id = $1 AND kind = 'cash' AND asset = 'USD' AND credits - debits - held >= $2
RETURNING id, partner_id";

pub const INSERT_ORDER_SQLITE: &str = "
INSERT INTO orders (id, partner_id, account_id, instrument_id, side, kind, quantity, filled_quantity, status,
    submitted_at)
VALUES ($1, $2, $3, $4, 'buy', 'market', $5, 0, 'accepted', $6)";

pub const INSERT_HOLD_SQLITE: &str = "
INSERT INTO ledger_hold (id, partner_id, account_id, amount, purpose_id, placed_at)
VALUES ($1, $2, $3, $4, $5, $6)";
