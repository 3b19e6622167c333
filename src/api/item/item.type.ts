import { Field, Float, InputType, ObjectType } from "type-graphql";
import { connectionType } from "../connection.js";
import { NodeType } from "../node/node.type.js";
import { RunFailureType } from "../run/failure.type.js";
import { RunType } from "../run/run.type.js";

@ObjectType("TextScore", { description: "How generated text was scored." })
export class TextScoreType {
  @Field(() => String, { description: "By what: exact, f1, strict or loose." })
  readonly name!: string;

  @Field(() => Float, { description: "0 to 1." })
  readonly value!: number;
}

@ObjectType("ItemResult", { implements: NodeType, description: "What a run found for one item in one render." })
export class ItemResultType extends NodeType {
  @Field(() => RunType, { description: "The run." })
  readonly run!: object;

  @Field(() => String, { description: "The item; renders of one item share it." })
  readonly itemKey!: string;

  @Field(() => String, { description: "validation or test." })
  readonly split!: string;

  @Field(() => String, { description: "Which render: aligned, conflicting, neutral, in_slice and so on." })
  readonly group!: string;

  @Field(() => String, {
    nullable: true,
    description: "The slice of the inputs that it is from, where there are slices.",
  })
  readonly slice!: string | null;

  @Field(() => Float, {
    nullable: true,
    description: "By forced choice: 1 for right, 0.5 for a tie, 0 for wrong; null where it was not scored.",
  })
  readonly score!: number | null;

  @Field(() => Float, {
    nullable: true,
    description: "log p(right) - log p(wrong) over the answers' tokens, in nats; null where it was not scored.",
  })
  readonly margin!: number | null;

  @Field(() => Float, {
    nullable: true,
    description: "The score by the mean over tokens; null where both answers have as many.",
  })
  readonly tokenMeanScore!: number | null;

  @Field(() => String, {
    nullable: true,
    description: "The prompt, a turn a line; null where it is not in the records.",
  })
  readonly input!: string | null;

  @Field(() => String, { nullable: true, description: "The right answer; null where it is not in the records." })
  readonly expected!: string | null;

  @Field(() => String, { nullable: true, description: "The wrong answer; null where it is not in the records." })
  readonly rejected!: string | null;

  @Field(() => String, { nullable: true, description: "The text that was generated; null where none was." })
  readonly output!: string | null;

  @Field(() => [TextScoreType], { description: "How that text was scored; empty where there is none." })
  readonly outputScores!: readonly TextScoreType[];

  @Field(() => Boolean, { nullable: true, description: "Whether the cue is in this render; null where nobody says." })
  readonly spuriousFeaturePresent!: boolean | null;

  @Field(() => RunFailureType, { nullable: true, description: "Why it was not scored; null where it was." })
  readonly error!: object | null;
}

export const ItemResultConnection = connectionType("ItemResult", () => ItemResultType);

@InputType({ description: "Which items are wanted; all that is given must hold." })
export class ItemFilter {
  @Field(() => String, { nullable: true, description: "Only this render." })
  readonly group?: string | null;

  @Field(() => String, { nullable: true, description: "validation or test." })
  readonly split?: string | null;

  @Field(() => Float, { nullable: true, description: "Only items that were scored and got at most this, 0 to 1." })
  readonly maxScore?: number | null;

  @Field(() => Boolean, { nullable: true, description: "Only items that were not scored, or only those that were." })
  readonly errored?: boolean | null;

  @Field(() => Boolean, { nullable: true, description: "Only renders with the cue, or only those without." })
  readonly spuriousFeaturePresent?: boolean | null;
}
