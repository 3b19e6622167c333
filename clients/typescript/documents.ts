/** What is asked of every payload's errors; a data set's problems come with their rows. */
const errors = `errors {
  __typename code message path
  ... on DatasetInvalidError { validation { problems { row column message } } }
}`;

const version = "{ id digest rows validation { leftOutCount notes { row column message } } }";

export const viewerDocument = "query Viewer { viewer { project { id slug name } } }";

export const submitDocument = `mutation Submit($input: SubmitRobustnessInput!) {
  submitRobustnessExperiment(input: $input) { experiment { id } replayed ${errors} }
}`;

export const submitRetrievalDocument = `mutation Submit($input: SubmitRetrievalInput!) {
  submitRetrievalExperiment(input: $input) { experiment { id } replayed ${errors} }
}`;

export const experimentDocument = `query Experiment($id: ID!) {
  experiment(id: $id) {
    id name state createdAt endedAt
    progress { completed total fraction }
    usage { wallSeconds cpuSeconds gpuSeconds savedByReuseSeconds { wall cpu gpu } }
  }
}`;

export const artifactsDocument = `query Artifacts($id: ID!, $after: String) {
  experiment(id: $id) {
    page: artifacts(first: 100, after: $after) {
      edges { node { id name kind bytes digest downloadUrl } }
      pageInfo { hasNextPage endCursor }
    }
  }
}`;

export const runsDocument = `query Runs($id: ID!, $after: String) {
  experiment(id: $id) {
    page: runs(first: 100, after: $after) {
      edges { node {
        id step state seed cell { __typename ... on RobustnessCell { method task artifact spuriousness } ... on RetrievalCell { system alpha fold } } failure { code message } reusedFrom { id } supersededBy { id }
      } }
      pageInfo { hasNextPage endCursor }
    }
  }
}`;

export const registerModelDocument = `mutation RegisterModel($input: RegisterModelInput!) {
  registerModel(input: $input) { model { id name digest } ${errors} }
}`;

export const beginUploadDocument = `mutation BeginUpload($input: BeginDatasetUploadInput!) {
  beginDatasetUpload(input: $input) { uploadId parts { number url } existing ${version} ${errors} }
}`;

export const completeUploadDocument = `mutation CompleteUpload($input: CompleteDatasetUploadInput!) {
  completeDatasetUpload(input: $input) { version ${version} ${errors} }
}`;

export const experimentEventsDocument = `subscription Events($experimentId: ID!, $afterSequence: Int) {
  experimentEvents(experimentId: $experimentId, afterSequence: $afterSequence) {
    sequence at kind message state experimentState
    run { id }
    progress { stage completed total }
  }
}`;
