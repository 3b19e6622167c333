import { Screen } from "./screen.js";
import { openService, type Service } from "./service.js";

/** What a command works with. */
export interface Surroundings {
  readonly service: Service;
  readonly screen: Screen;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
}

/** How a command is run. */
export interface Command {
  readonly dataDir: string;
  /** Whether a service that is started for the command is left running. */
  readonly detach?: boolean;
}

const interruptedExit = 130;

/** Does something with the service of a data folder, which is started where none runs, and gives the exit code; 130 on Ctrl-C. */
export async function withService(
  { dataDir, detach = false }: Command,
  act: (surroundings: Surroundings) => Promise<number>,
): Promise<number> {
  const screen = new Screen(process.stderr);
  const interruption = new AbortController();
  const { signal } = interruption;
  const interrupt = (): void => interruption.abort();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, interrupt);
  try {
    const service = await openService({ dataDir, signal, onProgress: (message) => screen.say(message) });
    try {
      return await Promise.race([act({ service, screen, signal }), service.ended]);
    } finally {
      if (!detach) await service.stop();
    }
  } catch (error) {
    if (signal.aborted) return interruptedExit; // what broke, broke because of the interruption
    throw error;
  } finally {
    screen.clear();
    for (const name of ["SIGINT", "SIGTERM"] as const) process.removeListener(name, interrupt);
  }
}
