import type pg from "pg";

/** Settings of one login. */
export interface Login {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  /** Encrypts the connection and checks the server's certificate, against this authority where one is given. */
  readonly tls?: { readonly ca: string | undefined } | undefined;
}

/** The login as the driver takes it. */
export function clientSettings({ tls, ...login }: Login): pg.ClientConfig {
  return { ...login, ...tlsSettings(tls, login.host) };
}

/** The login as TypeORM takes it. */
export function sourceSettings({ user, tls, ...login }: Login): {
  type: "postgres";
  host: string;
  port: number;
  database: string;
  username: string;
  password: string;
} {
  return { type: "postgres", ...login, username: user, ...tlsSettings(tls, login.host) };
}

function tlsSettings(tls: Login["tls"], host: string): { ssl?: { ca?: string; host: string } } {
  if (tls === undefined) return {};
  // The host is what the certificate must be for; the driver names it only where it is no bare address.
  return { ssl: { host, ...(tls.ca === undefined ? {} : { ca: tls.ca }) } };
}
