-- Data of a user's own in the formats of GSM8K, IFEval and SQuAD, and what was found in a version's rows beside problems.
alter table dataset drop constraint dataset_kind_check;
alter table dataset add constraint dataset_kind_check check (kind in ('PREFERENCE', 'GSM8K', 'IFEVAL', 'SQUAD'));
alter table dataset_upload drop constraint dataset_upload_kind_check;
alter table dataset_upload add constraint dataset_upload_kind_check check (kind in ('PREFERENCE', 'GSM8K', 'IFEVAL', 'SQUAD'));
-- Null for versions that were made before this was looked at.
alter table dataset_version add column findings jsonb;
