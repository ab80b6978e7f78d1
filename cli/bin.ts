#!/usr/bin/env node
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

// The bundle ships with compiled code: a third of the start is spent on compiling otherwise.
enableCompileCache(fileURLToPath(new URL('./compile-cache', import.meta.url)));
await import('./main.ts');
