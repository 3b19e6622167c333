import { Field, Int, ObjectType } from "type-graphql";
import type { RecordProblem, RecordReport } from "../../domain/records.js";

@ObjectType("DatasetProblem", { description: "One thing that is wrong with an uploaded file." })
export class DatasetProblemType implements RecordProblem {
  @Field(() => Int, { description: "Line of the file, from 1; 0 for the file as a whole." })
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

@ObjectType("DatasetValidation", { description: "What checking the rows of a file found." })
export class DatasetValidationType implements Pick<RecordReport, "rows" | "problems" | "problemCount"> {
  @Field(() => Boolean, { description: "Whether every row is in order." })
  readonly ok!: boolean;

  @Field(() => Int, { description: "Rows that were read." })
  readonly rows!: number;

  @Field(() => Int, { description: "How many problems there are in all." })
  readonly problemCount!: number;

  @Field(() => [DatasetProblemType], { description: "The first 100 problems." })
  readonly problems!: readonly RecordProblem[];
}
