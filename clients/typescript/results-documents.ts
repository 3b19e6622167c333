const errors = "errors { __typename code message path }";

export const itemsDocument = `query Items($id: ID!, $filter: ItemFilter, $after: String) {
  run(id: $id) {
    page: items(first: 100, after: $after, filter: $filter) {
      edges { node {
        id itemKey split group slice score margin input expected output outputScores { name value }
        spuriousFeaturePresent error { code message }
      } }
      pageInfo { hasNextPage endCursor }
    }
  }
}`;

export const compareDocument = `query Compare($baseline: [ID!]!, $candidates: [[ID!]!]!, $metric: String!, $threshold: Float) {
  compareRuns(baseline: $baseline, candidates: $candidates, metric: $metric, practicalThreshold: $threshold) {
    comparisons {
      metric higherIsBetter seeds pairedItems unpairedItems baselineMean candidateMean delta
      interval { level low high method } test pValue adjustedPValue wins losses ties minimumDetectableEffect
      verdict reason confounders
    }
    ${errors}
  }
}`;

export const exportDocument = `mutation Export($input: ExportExperimentInput!) {
  exportExperiment(input: $input) { artifact { id name kind bytes digest downloadUrl } ${errors} }
}`;
