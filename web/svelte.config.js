import { vitePreprocess } from "@sveltejs/vite-plugin-svelte";

export default {
  preprocess: vitePreprocess(),
  compilerOptions: {
    runes: true,
    // a view gets its context once: it never changes, what it holds does
    warningFilter: (warning) => warning.code !== "state_referenced_locally",
  },
};
