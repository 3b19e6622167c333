import { join, resolve } from "node:path";
import type { Settings } from "./settings.js";

/** Where artifacts are kept. */
export type ArtifactsConfig = FolderConfig | BucketConfig;

/** A folder that gateways, dispatchers and pods share. */
export interface FolderConfig {
  readonly kind: "FOLDER";
  /** `ASSAY_ARTIFACTS`: a path. Default: `artifacts` in `ASSAY_DATA_DIR`. */
  readonly path: string;
}

/**
 * A bucket of an S3-compatible store. Its key comes from where every program for such stores takes it: `AWS_ACCESS_KEY_ID` and
 * `AWS_SECRET_ACCESS_KEY`, a profile, a web identity, or the machine itself. Pods get none: they are given addresses.
 */
export interface BucketConfig {
  readonly kind: "BUCKET";
  /** `ASSAY_ARTIFACTS`: `s3://bucket/prefix`. */
  readonly bucket: string;
  /** Empty, or words that end with a slash. */
  readonly prefix: string;
  /** `ASSAY_S3_REGION`; else `AWS_REGION`, else us-east-1, which stores of one's own mostly take. */
  readonly region: string;
  /** `ASSAY_S3_ENDPOINT`: address of a store of one's own, https or on this machine; pods must reach it too. Default: Amazon's. */
  readonly endpoint: string | undefined;
}

const names = { place: "ASSAY_ARTIFACTS", endpoint: "ASSAY_S3_ENDPOINT", region: "ASSAY_S3_REGION" } as const;

/** Reads where artifacts are kept. */
export function readArtifacts(settings: Settings): ArtifactsConfig {
  const place = settings.text(names.place, "");
  if (!isAddress(place)) {
    for (const name of [names.endpoint, names.region]) {
      if (settings.text(name, "") !== "") settings.fault(name, `${names.place}=s3://bucket beside it`, "none");
    }
    return { kind: "FOLDER", path: place === "" ? ownFolder(settings) : resolve(place) };
  }
  const [, bucket = "", path = ""] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:\/[\w.-]+)*)\/?$/.exec(place) ?? [];
  if (bucket === "" || /\/\.{1,2}(\/|$)/.test(path)) settings.fault(names.place, "a path or s3://bucket/prefix", place);
  const region = settings.text("AWS_REGION", settings.text("AWS_DEFAULT_REGION", "us-east-1"));
  return {
    kind: "BUCKET",
    bucket,
    prefix: path === "" ? "" : `${path.slice(1)}/`,
    region: settings.text(names.region, region),
    endpoint: readEndpoint(settings),
  };
}

/** The folder that a pod keeps files in: the shared one, or one of its own where a bucket is shared. */
export function readPodFolder(settings: Settings): string {
  const place = settings.text(names.place, "");
  return place === "" || isAddress(place) ? ownFolder(settings) : resolve(place);
}

function ownFolder(settings: Settings): string {
  return join(resolve(settings.text("ASSAY_DATA_DIR", ".assay")), "artifacts");
}

function isAddress(place: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(place);
}

/** Pods refuse addresses without encryption that lead off their machine, so it is better told at the start. */
function readEndpoint(settings: Settings): string | undefined {
  const text = settings.text(names.endpoint, "");
  if (text === "") return undefined;
  const url = URL.parse(text);
  const isLocal = url?.protocol === "http:" && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  const isBare = url !== null && [url.username, url.password, url.search, url.hash].every((part) => part === "");
  if (isBare && (isLocal || url.protocol === "https:")) return text.replace(/\/+$/, "");
  // What is not bare may hold a password.
  settings.fault(names.endpoint, "an https address, or http on this machine", isBare ? text : "another text");
  return undefined;
}
