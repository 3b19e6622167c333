import { GraphQLScalarType } from "graphql";

/** These are answered only; none is ever an input. */
function answered(name: string, description: string, serialize: (value: unknown) => string): GraphQLScalarType {
  return new GraphQLScalarType({ name, description, serialize });
}

/** An instant. */
export const DateTime = answered("DateTime", "ISO-8601 instant, UTC.", (value) =>
  value instanceof Date ? value.toISOString() : new Date(String(value)).toISOString(),
);

/** An absolute URL. */
export const AbsoluteUrl = answered(
  "URL",
  "Absolute URL: https, or http on a loopback address (the embedded service).",
  String,
);

/** A digest as it is answered and taken. */
export const Digest = new GraphQLScalarType<string, string>({
  name: "Digest",
  description: "Lower-case hex SHA-256.",
  serialize: String,
  parseValue: String,
});
