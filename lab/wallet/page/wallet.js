'use strict';

const account = document.getElementById('account');
let until = 0;

async function ask(method, path) {
	const response = await fetch(path, { method });
	const said = await response.json();
	if (!response.ok) throw new Error(said.error);
	return said;
}

function draw(qr) {
	const canvas = document.getElementById('qr');
	const size = Math.floor(canvas.width / qr.length);
	const context = canvas.getContext('2d');
	context.fillStyle = '#fff';
	context.fillRect(0, 0, canvas.width, canvas.height);
	context.fillStyle = '#000';
	qr.forEach((row, y) => row.forEach((black, x) => {
		if (black) context.fillRect(x * size, y * size, size, size);
	}));
}

async function show() {
	try {
		const code = await ask('POST', 'code/' + account.value);
		until = Date.parse(code.until);
		draw(code.qr);
		document.getElementById('text').value = code.text;
		document.getElementById('error').textContent = '';
	} catch (error) {
		until = Date.now() + 3000;
		document.getElementById('error').textContent = error.message;
	}
}

async function list() {
	for (const no of await ask('GET', 'phones')) account.add(new Option(no, no));
	if (account.options.length === 0) {
		document.getElementById('error').textContent = '没有手机：campusd phone invite，然后 campuslab phone bind';
		return;
	}
	await show();
	setInterval(() => {
		const left = Math.ceil((until - Date.now()) / 1000);
		document.getElementById('left').textContent = left > 0 ? left + ' s' : '';
		if (left <= 0) show();
	}, 500);
}

account.addEventListener('change', show);
list();
