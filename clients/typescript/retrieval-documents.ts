const estimate = "{ value items seeds interval { level low high method } }";
const row = "system alpha";
const percentiles = "{ p50 p95 }";
const pageInfo = "pageInfo { hasNextPage endCursor }";

export const leaderboardDocument = `query Leaderboard($id: ID!) {
  experiment(id: $id) {
    ... on RetrievalExperiment {
      leaderboard {
        verdict reason summary queryCount queriesWithoutRelevant notShown caveats
        rows {
          ${row} seeds ndcgAt10 ${estimate} rrAt10 ${estimate} recallAt100 ${estimate} averagePrecision ${estimate} judgedAt10 ${estimate}
          seedDeviation againstBase { delta ${estimate} wins ties losses } groups { group ndcgAt10 ${estimate} delta ${estimate} }
          latency { encoder ${percentiles} search ${percentiles} total ${percentiles} }
          promptTokensPerThousand completionTokensPerThousand pricePerThousand
        }
        tests {
          candidate { ${row} } baseline { ${row} } delta ${estimate} pValue adjustedPValue pairedTPValue wins ties losses
          minimumDetectableEffect underpowered verdict reason
        }
        gate { fold open delta low high queries }
        recoveredGain { value low high reason } breakEven { queries reason } missing { ${row} fold seed reason }
      }
    }
  }
}`;

export const receiptsDocument = `query Receipts($id: ID!, $filter: QueryReceiptFilter, $after: String) {
  experiment(id: $id) {
    ... on RetrievalExperiment {
      page: queries(first: 50, after: $after, filter: $filter) {
        edges { node {
          query text group expansion lost latencySavedMs
          scores {
            ${row} ndcgAt10 rrAt10 recallAt100 averagePrecision judgedAt10 delta seeds top { document score relevance }
          }
        } }
        ${pageInfo}
      }
    }
  }
}`;

export const rankingDiffDocument = `query Diff($id: ID!, $baseline: RetrievalRowInput!, $candidate: RetrievalRowInput!, $query: String, $after: String) {
  experiment(id: $id) {
    ... on RetrievalExperiment {
      diff: rankingDiff(baseline: $baseline, candidate: $candidate, query: $query) {
        baseline { ${row} } candidate { ${row} } queryCount delta wins ties losses relevantGained relevantLost
        page: queries(first: 100, after: $after) {
          edges { node {
            query text baselineNdcgAt10 candidateNdcgAt10 delta documents { document relevance baselineRank candidateRank }
          } }
          ${pageInfo}
        }
      }
    }
  }
}`;
