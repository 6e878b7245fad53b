import { fuzz, type FuzzOptions } from './fuzz.js';

// Directories full of anything, as test-fuzz.ts asks for them.
await fuzz(JSON.parse(process.argv[2] ?? '') as FuzzOptions);
process.stdout.write('sound\n');
