import { render } from "preact";

import "@xterm/xterm/css/xterm.css";
import "./style/tokens.css";
import "./style/base.css";
import "./style/frame.css";
import "./style/exercise.css";
import "./style/terminals.css";
import "./style/lab.css";
import "./style/teacher.css";

import { App } from "./app";
import { Page } from "./ui/page";

const app = new App();
const place = document.getElementById("page");
if (place) render(<Page app={app} />, place);
void app.begin();
