import type { Case } from '../contract.js';

export const fileCases: readonly Case[] = [];
