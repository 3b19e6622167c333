import { type GraphQLResolveInfo, Kind } from "graphql";

/** Whether a document asks for nothing of a field of what is being resolved but its id and the name of its type. */
export function wantsOnlyIdOf(field: string, { fieldNodes }: Pick<GraphQLResolveInfo, "fieldNodes">): boolean {
  for (const { selectionSet } of fieldNodes) {
    for (const selection of selectionSet?.selections ?? []) {
      // What a fragment holds is not looked for.
      if (selection.kind !== Kind.FIELD) return false;
      if (selection.name.value !== field) continue;
      const plain = selection.selectionSet?.selections.every(
        (inner) => inner.kind === Kind.FIELD && (inner.name.value === "id" || inner.name.value === "__typename"),
      );
      if (plain !== true) return false;
    }
  }
  return true;
}
