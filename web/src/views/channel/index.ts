import { afm } from "../../protocol/afm.ts";
import View from "./View.svelte";

export default afm(View);
