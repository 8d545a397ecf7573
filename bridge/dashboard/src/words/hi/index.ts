import action from './action.json';
import create from './create.json';
import deadline from './deadline.json';
import dispute from './dispute.json';
import ending from './ending.json';
import escrow from './escrow.json';
import event from './event.json';
import facts from './facts.json';
import fault from './fault.json';
import feedback from './feedback.json';
import frame from './frame.json';
import invite from './invite.json';
import list from './list.json';
import login from './login.json';
import money from './money.json';
import notice from './notice.json';
import operator from './operator.json';
import sentence from './sentence.json';
import settings from './settings.json';
import situation from './situation.json';
import time from './time.json';

export default {
  action,
  create,
  deadline,
  dispute,
  ending,
  escrow,
  event,
  facts,
  fault,
  feedback,
  frame,
  invite,
  list,
  login,
  money,
  notice,
  operator,
  sentence,
  settings,
  situation,
  time,
};
