-- What a CRM that runs a class gets instead of start, numbers and duration: the form, encoded, without credentials. NULL
-- for a CRM that takes calls as such. Frozen with the rest; where there is one, `calls.content_hash` is taken over it alone.
ALTER TABLE wire_forms ADD COLUMN form TEXT;
