export const classes = {
  "classes.title": "Classes",
} as const;
