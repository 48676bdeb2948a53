-- Rebuilds: one operation that deletes days from the CRM and sends them again by today's settings. Its row in `deletions`
-- stays open (`ended` NULL) until every affected call was sent again: while `outcome` is NULL, the CRM has not confirmed
-- the deletion, and it is asked for again; from then on there is only sending left.

-- The window that a rebuild's sending has to cover, Unix seconds.
ALTER TABLE deletions ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deletions ADD COLUMN until INTEGER NOT NULL DEFAULT 0;
-- How often the CRM was asked. Once it was asked without an answer, no later refusal proves that nothing was deleted.
ALTER TABLE deletions ADD COLUMN asked INTEGER NOT NULL DEFAULT 1;

-- A call that is withdrawn because a rebuild found nothing to send in its place (its row is gone, a rule drops it, or
-- another call has its key now) keeps `prior_state` 4 and `prior_reason` 4: it is sent as soon as there is something to
-- send, while one that was deleted for good is not.

-- Why a call that is due cannot be sent, as the last run over it saw: 0 nothing is in the way, 1 the source does not hold
-- its row, 2 `[select]` leaves its row out.
ALTER TABLE calls ADD COLUMN missing INTEGER NOT NULL DEFAULT 0 CHECK (missing BETWEEN 0 AND 2);
