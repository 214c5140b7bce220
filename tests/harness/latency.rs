//! How far behind life a viewer is.

use crate::Tab;
use anyhow::Result;

/// Milliseconds from the clock in the demonstration call's page to the picture that the viewer sees.
///
/// The page shows the time as a row of blocks (described in `relay/web/src/call/barcode.ts`); it is read back from the
/// player's picture.
///
/// # Errors
/// If the picture shows no valid code just now.
pub async fn glass_to_glass_ms(tab: &Tab) -> Result<f64> {
    tab.number(
        "(() => { const video = document.querySelector('video'); const canvas = document.createElement('canvas');
          const w = canvas.width = video.videoWidth, h = canvas.height = video.videoHeight;
          const ink = canvas.getContext('2d'); ink.drawImage(video, 0, 0); const now = Date.now();
          const row = ink.getImageData(0, Math.floor(h * 59 / 60), w, 1).data;
          const light = [...Array(40)].map((_, i) => { const at = 4 * Math.floor((i + 0.5) / 60 * w);
            return (row[at] + row[at + 1] + row[at + 2]) / 3; });
          if (light[0] - light[1] < 64) return null;
          const bit = i => light[i] > (light[0] + light[1]) / 2 ? 1 : 0;
          let value = 0; for (let i = 2; i < 34; i++) value = (value * 2) + bit(i);
          let check = 0; for (let i = 0; i < 8; i++) check ^= Math.floor(value / 16 ** i) % 16;
          let read = 0; for (let i = 34; i < 38; i++) read = read * 2 + bit(i);
          if (check !== read || bit(38) !== 0 || bit(39) !== 1) return null;
          return ((now % 2 ** 32) - value + 2 ** 32) % 2 ** 32; })()",
    )
    .await
}
