import {
  type DocumentNode,
  type FragmentDefinitionNode,
  GraphQLError,
  Kind,
  type OperationDefinitionNode,
  parse,
  type SelectionSetNode,
  visit,
} from "graphql";
import { unsafeText } from "../domain/json-text.js";
import { AssayError } from "../errors.js";
import { PAGE_MAX } from "./connection.js";

/** What a GraphQL document may be. Checked before it is validated, so that no document makes validation slow. */
export const limits = {
  tokens: 2_000,
  depth: 20,
  aliases: 30,
  directives: 50,
  /** One field of one selection, written again and again under one name. */
  repeats: 30,
  /** Fields when every fragment is written out. */
  fields: 10_000,
  /** Nodes that the pages of a document may hold, one inside another multiplied. */
  nodes: 100_000,
} as const;

const REMEMBERED_MAX = 500;

/** Parses documents and holds them to the limits; documents that were found good are remembered. */
export class DocumentCheck {
  readonly #known = new Map<string, DocumentNode>();

  /** The document of a query. Throws QUERY_TOO_COMPLEX, INVALID_INPUT for text that cannot be stored, or a GraphQLError of syntax. */
  parse(query: string, variables: Readonly<Record<string, unknown>>): DocumentNode {
    const known = this.#known.get(query);
    const document = known ?? parseWithin(query);
    if (known === undefined) {
      checkTexts(document);
      checkShape(document);
      this.#remember(query, document);
    }
    checkNodes(document, variables);
    return document;
  }

  #remember(query: string, document: DocumentNode): void {
    const [oldest] = this.#known.keys();
    if (oldest !== undefined && this.#known.size >= REMEMBERED_MAX) this.#known.delete(oldest);
    if (query.length <= 10_000) this.#known.set(query, document);
  }
}

function tooComplex(wanted: string, got: string | number): AssayError {
  return new AssayError("QUERY_TOO_COMPLEX", `wanted a document with ${wanted}, but got ${got}`);
}

function parseWithin(query: string): DocumentNode {
  try {
    return parse(query, { maxTokens: limits.tokens });
  } catch (thrown) {
    if (thrown instanceof GraphQLError && thrown.message.includes("Parsing aborted")) {
      throw tooComplex(`at most ${limits.tokens} tokens`, "more");
    }
    if (thrown instanceof RangeError) throw tooComplex(`a depth of at most ${limits.depth}`, "far more");
    throw thrown;
  }
}

/** Escapes in string literals can say what the text itself cannot hold. */
function checkTexts(document: DocumentNode): void {
  visit(document, {
    StringValue(node) {
      const fault = unsafeText(node.value);
      if (fault !== null) throw new AssayError("INVALID_INPUT", fault);
    },
  });
}

interface Shape {
  readonly depth: number;
  readonly aliases: number;
  readonly directives: number;
  readonly fields: number;
}

const nothing: Shape = { depth: 0, aliases: 0, directives: 0, fields: 0 };

function checkShape(document: DocumentNode): void {
  const measure = new ShapeMeasure(document);
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION && definition.kind !== Kind.FRAGMENT_DEFINITION) continue;
    const { depth, aliases, directives, fields } = measure.of(definition.selectionSet);
    const own = directives + (definition.directives?.length ?? 0);
    if (depth > limits.depth) throw tooComplex(`a depth of at most ${limits.depth}`, depth);
    if (aliases > limits.aliases) throw tooComplex(`at most ${limits.aliases} aliases`, aliases);
    if (own > limits.directives) throw tooComplex(`at most ${limits.directives} directives`, own);
    if (fields > limits.fields) throw tooComplex(`at most ${limits.fields} fields`, fields);
  }
}

/** Measures selections with their fragments written out; each fragment is measured once. */
class ShapeMeasure {
  readonly #fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  readonly #measured = new Map<string, Shape>();

  constructor(document: DocumentNode) {
    this.#fragments = fragmentsOf(document);
  }

  of(selections: SelectionSetNode | undefined): Shape {
    if (selections === undefined) return nothing;
    checkRepeats(selections);
    let sum = nothing;
    for (const selection of selections.selections) {
      const directives = selection.directives?.length ?? 0;
      if (selection.kind === Kind.FIELD) {
        const inner = this.of(selection.selectionSet);
        const aliases = inner.aliases + (selection.alias === undefined ? 0 : 1);
        const depth = inner.depth + 1;
        sum = added(sum, { depth, aliases, directives: inner.directives + directives, fields: inner.fields + 1 });
      } else {
        const inner =
          selection.kind === Kind.INLINE_FRAGMENT
            ? this.of(selection.selectionSet)
            : this.#spread(selection.name.value);
        sum = added(sum, { ...inner, directives: inner.directives + directives });
      }
    }
    return sum;
  }

  #spread(name: string): Shape {
    const measured = this.#measured.get(name);
    if (measured !== undefined) return measured;
    // A fragment inside itself measures nothing here; validation refuses the document for it.
    this.#measured.set(name, nothing);
    const shape = this.of(this.#fragments.get(name)?.selectionSet);
    this.#measured.set(name, shape);
    return shape;
  }
}

function added(a: Shape, b: Shape): Shape {
  return {
    depth: Math.max(a.depth, b.depth),
    aliases: a.aliases + b.aliases,
    directives: a.directives + b.directives,
    fields: a.fields + b.fields,
  };
}

function checkRepeats({ selections }: SelectionSetNode): void {
  const counts = new Map<string, number>();
  for (const selection of selections) {
    const name = nameOf(selection);
    const count = (counts.get(name) ?? 0) + 1;
    if (count > limits.repeats) throw tooComplex(`a field at most ${limits.repeats} times in one place`, "more");
    counts.set(name, count);
  }
}

function nameOf(selection: SelectionSetNode["selections"][number]): string {
  if (selection.kind === Kind.FIELD) return (selection.alias ?? selection.name).value;
  return selection.kind === Kind.FRAGMENT_SPREAD ? `...${selection.name.value}` : "...";
}

/** Pages inside pages multiply; the product is known before anything is read. */
function checkNodes(document: DocumentNode, variables: Readonly<Record<string, unknown>>): void {
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    const nodes = new NodeCount(document, definition, variables).of(definition.selectionSet);
    if (nodes > limits.nodes) throw tooComplex(`at most ${limits.nodes} nodes in its pages`, nodes);
  }
}

class NodeCount {
  readonly #fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  readonly #counted = new Map<string, number>();
  readonly #variables: Readonly<Record<string, unknown>>;

  constructor(
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Readonly<Record<string, unknown>>,
  ) {
    this.#fragments = fragmentsOf(document);
    const defaults = (operation.variableDefinitions ?? []).flatMap(({ variable, defaultValue }) =>
      defaultValue?.kind === Kind.INT ? [[variable.name.value, Number(defaultValue.value)] as const] : [],
    );
    this.#variables = { ...Object.fromEntries(defaults), ...variables };
  }

  of(selections: SelectionSetNode | undefined): number {
    let sum = 0;
    for (const selection of selections?.selections ?? []) {
      if (selection.kind === Kind.FIELD) {
        const inner = this.of(selection.selectionSet);
        const limit = this.#limitOf(selection.arguments ?? []);
        sum += limit === null ? inner : limit * (1 + inner);
      } else {
        sum +=
          selection.kind === Kind.INLINE_FRAGMENT
            ? this.of(selection.selectionSet)
            : this.#spread(selection.name.value);
      }
    }
    return sum;
  }

  #spread(name: string): number {
    const counted = this.#counted.get(name);
    if (counted !== undefined) return counted;
    this.#counted.set(name, 0);
    const count = this.of(this.#fragments.get(name)?.selectionSet);
    this.#counted.set(name, count);
    return count;
  }

  /** The page size of a field, or null where it has none. */
  #limitOf(
    args: NonNullable<Extract<SelectionSetNode["selections"][number], { kind: Kind.FIELD }>["arguments"]>,
  ): number | null {
    for (const { name, value } of args) {
      if (name.value !== "first" && name.value !== "last") continue;
      const limit =
        value.kind === Kind.INT
          ? Number(value.value)
          : value.kind === Kind.VARIABLE
            ? this.#variables[value.name.value]
            : null;
      if (typeof limit !== "number") continue;
      if (limit > PAGE_MAX) {
        throw new AssayError(
          "QUERY_TOO_COMPLEX",
          `${name.value}: wanted a page of at most ${PAGE_MAX}, but got ${limit}`,
        );
      }
      return Math.max(limit, 0);
    }
    return null;
  }
}

function fragmentsOf(document: DocumentNode): Map<string, FragmentDefinitionNode> {
  const fragments = document.definitions.filter((definition) => definition.kind === Kind.FRAGMENT_DEFINITION);
  return new Map(fragments.map((fragment) => [fragment.name.value, fragment]));
}
