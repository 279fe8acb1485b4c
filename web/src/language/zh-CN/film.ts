import type { film as en } from "../en/film.ts";

export const film: Record<keyof typeof en, string> = {
  "film.title": "影片",
};
