-- Who owns a wire key, in the order of time: calls come in that order, so that recording them touches a few pages of this
-- index and not, as an index over hashes alone does, one page for every call. Texts are compared, too.
DROP INDEX wire_forms_key;
CREATE INDEX wire_forms_key ON wire_forms (job, initiated, key_hash);
