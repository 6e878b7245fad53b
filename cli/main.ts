#!/usr/bin/env node
import { spool } from './spool.js';

void spool(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
