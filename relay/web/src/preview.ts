// `/widget/preview?stream=app/name[&theme=light|dark][&muted=1]`: the live picture of one stream, as soon as there is one.

import { startWidget } from "./preview/widget";

startWidget({ lowLatency: true });
