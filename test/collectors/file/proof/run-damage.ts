import { DAMAGE_CHECKS, type DamageOptions } from './damage-checks.js';

// One check of damaged files, as test-damage.ts asks for it.
const [, , name = '', options = ''] = process.argv;
const check = DAMAGE_CHECKS[name];
if (check === undefined) throw new Error(`there is no check '${name}'`);
await check(JSON.parse(options) as DamageOptions);
process.stdout.write('sound\n');
