const LOOK_MS = 5_000;
/** Share of the time that the event loop works, below which nobody waits for it. */
const QUIET = 0.05;
/** This many quiet looks one after the other: the load is over, not between two requests. */
const QUIET_LOOKS = 2;
/** Less than this is not worth a collection. */
const WORTH_BYTES = 8 * 1024 * 1024;
/** A collection stops the process for a millisecond or so a MiB: not for more than a large request takes. */
const COLLECT_BYTES = 64 * 1024 * 1024;

/** What is looked at and done; a test has its own. */
export interface MemoryUse {
  /** Resident memory, in bytes. */
  resident(): number;
  /** Share of the time since the last call that the event loop worked. */
  utilization(): number;
  giveBack(): void;
}

/**
 * Gives memory back to the system once after each load. V8 collects while it allocates, and the C library
 * keeps what is freed: when a load has ended, neither does anything more by itself (decision 015).
 */
export class MemoryReturn {
  private readonly use: MemoryUse;
  private quiet = 0;
  /** Resident after the last time. */
  private least: number;

  constructor(use: MemoryUse = processMemory()) {
    this.use = use;
    this.least = use.resident();
  }

  look(): void {
    const { use } = this;
    if (use.utilization() >= QUIET) {
      this.quiet = 0;
      return;
    }
    if (++this.quiet < QUIET_LOOKS) return;
    const resident = use.resident();
    if (resident < this.least + WORTH_BYTES) {
      this.least = Math.min(this.least, resident);
      return;
    }
    use.giveBack();
    this.least = use.resident();
  }
}

/** Looks now and then. Keeps no process running. */
export function returnMemory(): { close(): void } {
  const memory = new MemoryReturn();
  const timer = setInterval(() => memory.look(), LOOK_MS);
  timer.unref();
  return { close: () => clearInterval(timer) };
}

/** This process. Modules for giving back are loaded when a first load has ended. */
export function processMemory(): MemoryUse {
  let before = performance.eventLoopUtilization();
  return {
    resident: () => process.memoryUsage.rss(),
    utilization() {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, before);
      before = now;
      return utilization;
    },
    giveBack() {
      if (process.memoryUsage().heapUsed <= COLLECT_BYTES) collect();
      trim();
    },
  };
}

/** Node gives its collector to who asks V8 for it. */
function collect(): void {
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  setFlagsFromString('--expose-gc');
  const gc: unknown = process.getBuiltinModule('node:vm').runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  if (typeof gc === 'function') gc();
}

/** Of `node:ffi`, which Node has since 26. */
interface ForeignFunctions {
  dlopen(
    library: null,
    functions: Record<string, { arguments: string[]; return: string }>,
  ): { functions: Record<string, (...values: bigint[]) => number> };
}

let mallocTrim: ((pad: bigint) => unknown) | undefined;

/** malloc_trim(3): pages that hold nothing go back. Only glibc has it, and only newer Nodes can call it. */
function trim(): void {
  mallocTrim ??= findTrim();
  mallocTrim(0n);
}

function findTrim(): (pad: bigint) => unknown {
  const nothing = () => undefined;
  const { emitWarning } = process;
  // That node:ffi is experimental is known (decision 015), and would stand in every log.
  process.emitWarning = () => undefined;
  try {
    const ffi = process.getBuiltinModule('node:ffi') as ForeignFunctions | undefined;
    const trim = { arguments: ['u64'], return: 'i32' };
    return ffi?.dlopen(null, { malloc_trim: trim }).functions.malloc_trim ?? nothing;
  } catch {
    return nothing; // another C library
  } finally {
    process.emitWarning = emitWarning;
  }
}
