import { type FSWatcher, readFileSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

const SETTLE_MS = 50;
/** Some file systems tell nothing: looked at this often all the same. */
const LOOK_MS = 2_000;

/**
 * Follows a file's content: in place edits, renames over it, and symbolic links that move (Kubernetes).
 * `onText` gets each new content; a file that is away for a moment keeps its last content. `known`: the
 * content that the caller has read, so that an edit since then is not missed.
 */
export function watchFile(file: string, onText: (text: string) => void, known?: string): { close(): void } {
  let last = known ?? readNow(file);
  let timer: NodeJS.Timeout | undefined;
  const look = (): void => {
    timer = undefined;
    const text = readNow(file);
    if (text === undefined || text === last) return;
    last = text;
    onText(text);
  };
  const soon = (): void => {
    timer ??= setTimeout(look, SETTLE_MS);
  };
  const watcher = watchFolder(file, soon);
  if (known !== undefined) soon();
  const poll = setInterval(look, LOOK_MS);
  poll.unref();
  return {
    close() {
      clearTimeout(timer);
      clearInterval(poll);
      watcher?.close();
    },
  };
}

/** The folder is watched, since a rename gives the name to another file. */
function watchFolder(file: string, onChange: () => void): FSWatcher | undefined {
  const name = basename(file);
  try {
    const watcher = watch(dirname(file), (_event, changed) => {
      if (changed === null || changed === name || changed.startsWith('..')) onChange();
    });
    watcher.on('error', () => watcher.close());
    watcher.unref();
    return watcher;
  } catch {
    return undefined; // the poll does it alone
  }
}

function readNow(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
