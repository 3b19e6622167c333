import { Field, Float, Int, ObjectType } from "type-graphql";
import type { Leakage, LeakedPair } from "../../domain/leakage.js";
import type { RecordProblem, RecordReport } from "../../domain/upload-report.js";

@ObjectType("DatasetProblem", { description: "One thing that is wrong with an uploaded file." })
export class DatasetProblemType implements RecordProblem {
  @Field(() => Int, {
    description: "Line of the file, or number of the question in a SQuAD file, from 1; 0 for the file as a whole.",
  })
  readonly row!: number;

  @Field(() => String, {
    nullable: true,
    description:
      "Path of the field, for instance `checker.kwargs.keywords`; the number of the character, from 1, where a line is not JSON; null for a whole row.",
  })
  readonly column!: string | null;

  @Field(() => String, { description: "What was wanted and what came." })
  readonly message!: string;
}

@ObjectType("LeakedPair", { description: "Two rows of different parts that say the same, or nearly." })
export class LeakedPairType implements LeakedPair {
  @Field(() => Int, { description: "The row that was noticed." })
  readonly row!: number;

  @Field(() => String, { description: "Its part: train, validation or test." })
  readonly split!: LeakedPair["split"];

  @Field(() => Int, { description: "The row that it repeats." })
  readonly otherRow!: number;

  @Field(() => String, { description: "The other row's part." })
  readonly otherSplit!: LeakedPair["split"];

  @Field(() => Float, {
    description:
      "Jaccard similarity of their word triples, 0 to 1; 1 for texts that are equal but for letter case and white space.",
  })
  readonly similarity!: number;
}

@ObjectType("Leakage", {
  description:
    "What training rows share with validation and test rows. Rows that name no part are put into one by the digest of their text, so equal texts never part.",
})
export class LeakageType implements Leakage {
  @Field(() => Int, {
    description: "Training texts that stand in validation or test too, letter case and white space aside.",
  })
  readonly exactDuplicates!: number;

  @Field(() => Int, { description: "Training texts that are nearly, but not exactly, a text of validation or test." })
  readonly nearDuplicates!: number;

  @Field(() => Float, {
    description: "From which Jaccard similarity of word triples on two texts count as nearly the same.",
  })
  readonly threshold!: number;

  @Field(() => Boolean, { description: "False where so many texts are alike that the search was ended early." })
  readonly complete!: boolean;

  @Field(() => [LeakedPairType], { description: "The first 20 pairs." })
  readonly examples!: readonly LeakedPair[];
}

@ObjectType("DatasetValidation", { description: "What checking the rows of a file found." })
export class DatasetValidationType implements RecordReport {
  @Field(() => Boolean, { description: "Whether every row is in order." })
  readonly ok!: boolean;

  @Field(() => Int, { description: "Rows that were read." })
  readonly rows!: number;

  @Field(() => Int, { description: "How many problems there are in all." })
  readonly problemCount!: number;

  @Field(() => [DatasetProblemType], { description: "The first 100 problems." })
  readonly problems!: readonly RecordProblem[];

  @Field(() => Int, {
    description:
      "How many rows are in order but of no use: no injection can be made, or no query can find the document.",
  })
  readonly leftOutCount!: number;

  @Field(() => [DatasetProblemType], { description: "The first 100 of them, and why." })
  readonly leftOut!: readonly RecordProblem[];

  @Field(() => [DatasetProblemType], {
    description:
      "How the file is written, the first 100 things: a byte order mark, line ends, a header row or none, relevance codes. None of them keeps it from use.",
  })
  readonly notes!: readonly RecordProblem[];

  @Field(() => LeakageType, {
    nullable: true,
    description:
      "What training rows share with the others; null where rows are not in order, and for versions from before this was looked at.",
  })
  readonly leakage!: Leakage | null;
}
