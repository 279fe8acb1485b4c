export const film = {
  "film.title": "Film",
} as const;
