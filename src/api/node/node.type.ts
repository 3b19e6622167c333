import { Field, ID, InterfaceType } from "type-graphql";

/** A value that says which published type it is; interfaces and unions are resolved by it. */
export interface Typed {
  readonly __typename: string;
}

/** Relay's interface of everything that has an id. */
@InterfaceType("Node", {
  description: "Anything that can be fetched again by its id.",
  resolveType: (value: Typed) => value.__typename,
})
export abstract class NodeType {
  @Field(() => ID, { description: "Opaque; the same for as long as the thing exists." })
  readonly id!: string;
}
