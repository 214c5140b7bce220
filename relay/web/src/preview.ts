// `/widget/preview?stream=app/name`: the live picture of one stream, as near
// to the moment as it can be had, as soon as there is one. Also `theme=light|dark`, `muted=1`, `title=`.

import { startWidget } from "./preview/widget";

startWidget({ lowLatency: true });
