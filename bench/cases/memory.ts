import type { Case } from '../contract.js';

export const memoryCases: readonly Case[] = [];
