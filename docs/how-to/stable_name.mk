figures/bills.svg: stable_name.py
	python stable_name.py
