-- Retrieval: the files of a collection, and experiments of another capability.
alter table dataset drop constraint dataset_kind_check;
alter table dataset add constraint dataset_kind_check
  check (kind in ('PREFERENCE', 'GSM8K', 'IFEVAL', 'SQUAD', 'CORPUS', 'QUERIES', 'QRELS', 'EXPANSIONS'));
alter table dataset_upload drop constraint dataset_upload_kind_check;
alter table dataset_upload add constraint dataset_upload_kind_check
  check (kind in ('PREFERENCE', 'GSM8K', 'IFEVAL', 'SQUAD', 'CORPUS', 'QUERIES', 'QRELS', 'EXPANSIONS'));
alter table experiment drop constraint experiment_capability_check;
alter table experiment add constraint experiment_capability_check check (capability in ('ROBUSTNESS', 'RETRIEVAL'));
-- Answers of language models, and the tokens that they read and wrote.
alter table usage drop constraint usage_kind_check;
alter table usage add constraint usage_kind_check
  check (kind in ('WALL_SECONDS', 'CPU_SECONDS', 'GPU_SECONDS', 'PROMPT_TOKENS', 'COMPLETION_TOKENS', 'QUERIES'));
