/** The studio's page. */

import { mount } from "svelte";
import "../../parts/tokens.css";
import "./page.css";
import Studio from "./Studio.svelte";

const place = document.getElementById("studio");
if (!place) throw new Error("studio.html has no place for the studio");
mount(Studio, { target: place });
