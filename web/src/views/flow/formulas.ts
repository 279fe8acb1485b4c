/** What the records say of an arithmetic in words, as keys of the dictionaries; formulas in signs stay as they are. */

import type { Key } from "../../language/say.ts";

export const FORMULAS: Readonly<Record<string, Key>> = {
  "sum of input x weight over the window, plus bias": "flow.formula_window",
  "sum of input x weight over the inputs that reach here, plus bias": "flow.formula_reach",
  "sum of input x weight, plus bias": "flow.formula_linear",
  "the largest of the window": "flow.formula_largest",
  "mean of the window": "flow.formula_mean",
  "max(0, input)": "flow.formula_relu",
  "sum": "flow.formula_sum",
  "product of two numbers": "flow.formula_product",
  "input x constant": "flow.formula_constant",
  "this number is that number": "flow.formula_same",
  "sum of row x column": "flow.formula_matmul",
  "sum of query x key x scale, plus mask": "flow.formula_scores",
  "sum of value x weight of its key": "flow.formula_attention",
  "(input - mean) / sqrt(variance + eps) x weight + bias": "flow.formula_norm",
  "weighted mean of the nearest numbers": "flow.formula_nearest",
  "filled in by the operation, the same for every image": "flow.formula_filled",
};
