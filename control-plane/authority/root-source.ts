import type { Trust } from './trust.ts';

/** Where an authority's roots and key are kept. */
export interface RootSource {
  current(): Trust;
  /** Another process, or an operator, changed them. */
  onChange(listener: (trust: Trust) => void): void;
  /** Why what is kept could not be read or used lately: what was read before holds. */
  problem(): string | undefined;
  close(): void;
}
