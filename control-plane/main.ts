import { openAuthority } from './authority/authority.ts';
import { openControlServer } from './distribution/server.ts';
import type { Log } from './log.ts';
import { openFileRegistry } from './registry/file-registry.ts';

export interface ControlPlaneOptions {
  /** The mesh.yaml to serve. */
  readonly meshFile: string;
  /** Where the authority keeps its key. */
  readonly stateDir: string;
  /** HOST:PORT; port 0 lets the kernel choose. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Life of certificates, in ms. */
  readonly leafLifeMs?: number;
  readonly log: Log;
}

export interface RunningControlPlane {
  readonly address: string;
  /** Trusted roots, for those who start sidecars. */
  readonly bundleFile: string;
  close(): Promise<void>;
}

/** Starts a control plane: registry, authority, distribution. Throws an Error that names what cannot be used. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<RunningControlPlane> {
  const { meshFile, stateDir, listen, leafLifeMs, log } = options;
  const registry = openFileRegistry(meshFile, log);
  try {
    const authority = await openAuthority(stateDir, {
      trustDomain: registry.trustDomain,
      ...(leafLifeMs !== undefined && { leafLifeMs }),
    });
    try {
      const server = await openControlServer(listen, authority, registry, log);
      return {
        address: server.address,
        bundleFile: authority.bundleFile,
        async close() {
          await server.close();
          registry.close();
          authority.close();
        },
      };
    } catch (error) {
      authority.close();
      throw error;
    }
  } catch (error) {
    registry.close();
    throw error;
  }
}
