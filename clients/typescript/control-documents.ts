const errors = "errors { __typename code message path }";
const pageInfo = "pageInfo { hasNextPage endCursor }";
const seconds = "secondsReserved secondsUsed secondsReturned";
const letter = `id reason epoch diedAt replayedAt purgedAt logTail
  experiment { id } run { id state } failure { code message retryable }`;

export const cancelDocument = `mutation Cancel($input: CancelExperimentInput!) {
  cancelExperiment(input: $input) { experiment { id state } changed ${errors} }
}`;

export const cancellationDocument = `query Cancellation($id: ID!) {
  experiment(id: $id) {
    cancellation { mode reason requestedAt complete runCount filesKept ${seconds} }
  }
}`;

export const cancelledRunsDocument = `query CancelledRuns($id: ID!, $after: String) {
  experiment(id: $id) {
    cancellation {
      page: runs(first: 100, after: $after) {
        edges { node { run { id step } state lastStep files { name kind digest } ${seconds} } }
        ${pageInfo}
      }
    }
  }
}`;

export const pauseDocument = `mutation Pause($input: ExperimentActionInput!) {
  pauseExperiment(input: $input) { experiment { id state } changed ${errors} }
}`;

export const resumeDocument = `mutation Resume($input: ExperimentActionInput!) {
  resumeExperiment(input: $input) { experiment { id state } changed ${errors} }
}`;

export const priorityDocument = `mutation SetPriority($input: SetPriorityInput!) {
  setPriority(input: $input) { experiment { id state } changed ${errors} }
}`;

export const retryDocument = `mutation Retry($input: RetryRunsInput!) {
  retryRuns(input: $input) { experiment { id state } runCount runs { id state } replayed ${errors} }
}`;

export const extendDocument = `mutation Extend($input: ExtendExperimentInput!) {
  extendExperiment(input: $input) { experiment { id state } replayed ${errors} }
}`;

export const deadLetterDocument = `query DeadLetter($id: ID!) { deadLetter(id: $id) { ${letter} } }`;

export const deadLettersDocument = `query DeadLetters($filter: DeadLetterFilter, $after: String) {
  page: deadLetters(first: 100, after: $after, filter: $filter) { edges { node { ${letter} } } ${pageInfo} }
}`;

export const replayDocument = `mutation Replay($input: ReplayDeadLettersInput!) {
  replayDeadLetters(input: $input) { dryRun count replayed deadLetters { ${letter} } ${errors} }
}`;

export const purgeDocument = `mutation Purge($input: PurgeDeadLettersInput!) {
  purgeDeadLetters(input: $input) { dryRun count replayed deadLetters { ${letter} } ${errors} }
}`;
