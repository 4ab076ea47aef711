import type { Principal } from '../../auth/types.ts';
import type { UploadInfo } from '../../engine/types.ts';
import { element } from '../xml.ts';
import type { Markup } from '../xml.ts';

/** `<Initiator>` and `<Owner>` of an upload: whoever began it owns it. */
export function uploadOwnerElements(upload: UploadInfo, principal: Principal): readonly Markup[] {
  const id = upload.initiator;
  const name = id === principal.owner ? principal.displayName : id;
  return ['Initiator', 'Owner'].map((role) => element(role, element('ID', id), element('DisplayName', name)));
}
