import type { Case } from '../contract.js';

export const serverCases: readonly Case[] = [];
